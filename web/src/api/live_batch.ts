// A message of `/live` taken apart. Ten thousand VMs come in one: frames are decoded one at a time,
// and the browser draws in between.

import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { LiveFrameSchema, type LiveFrame } from '@/gen/Quantixkvm/live/v1/live_pb';

const AS_IT_IS = 0;
const GZIP = 1;
/** `LiveBatch.frames`. */
const FRAMES = 1;
/** Less than a frame of the screen at once. */
const SLICE_MS = 8;

async function unpacked(packed: ArrayBuffer): Promise<Uint8Array> {
  const bytes = new Uint8Array(packed);
  const rest = bytes.subarray(1);
  if (bytes[0] === AS_IT_IS) return rest;
  if (bytes[0] !== GZIP) throw new Error(`A message of the live connection begins with ${bytes[0] ?? 'nothing'}.`);
  const stream = new Blob([rest]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Lets the browser draw. A timer of 0 waits 4 ms and, in a hidden page, a second. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

export async function* framesOf(packed: ArrayBuffer, sliceMs: number = SLICE_MS): AsyncGenerator<LiveFrame> {
  const reader = new BinaryReader(await unpacked(packed));
  let until = performance.now() + sliceMs;
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field !== FRAMES || wire !== WireType.LengthDelimited) {
      reader.skip(wire, field);
      continue;
    }
    yield fromBinary(LiveFrameSchema, reader.bytes());
    if (performance.now() > until) {
      await breathe();
      until = performance.now() + sliceMs;
    }
  }
}
