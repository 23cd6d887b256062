// What a browser is sent is compressed once, here, and not by the server at each request.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const COMPRESSIBLE = /\.(js|css|html|svg|json)$/;

function filesUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesUnder(path) : [path];
  });
}

export function brotli(bytes: Buffer): Buffer {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return brotliCompressSync(bytes, { params });
}

/** Writes `.br` and `.gz` beside each file that is the smaller for it. */
export function compressedSiblings(dist: string): Plugin {
  return {
    name: 'compressed-siblings',
    apply: 'build',
    closeBundle() {
      for (const path of filesUnder(dist).filter((path) => COMPRESSIBLE.test(path))) {
        const bytes = readFileSync(path);
        for (const [suffix, packed] of [['br', brotli(bytes)], ['gz', gzipSync(bytes, { level: 9 })]] as const) {
          if (packed.length < bytes.length) writeFileSync(`${path}.${suffix}`, packed);
        }
      }
    },
  };
}
