// What an administrator should know of this host: what needs someone first, with its remedy.

import type { ReactElement } from 'react';
import { isTrouble } from '@/app/node_health';
import { NodeCondition_Status, type Node, type NodeCondition } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { StateShape, type Tone } from '@/ui/StateBadge';
import { RelativeTime } from '@/ui/time';

/** `MemoryPressure` to `Memory pressure`. */
export function words(type: string): string {
  return type.replace(/^Kvm/, 'KVM').replace(/(?<=KVM)[A-Z]/, (letter) => ` ${letter.toLowerCase()}`).replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** A condition that is as it should be, in a few words. */
export function calm(condition: NodeCondition): string {
  const text = words(condition.type);
  return condition.status === NodeCondition_Status.FALSE ? `No ${text.toLowerCase()}` : text;
}

function toneOf(condition: NodeCondition): Tone {
  if (isTrouble(condition)) return 'wrong';
  return condition.status === NodeCondition_Status.UNKNOWN ? 'stopped' : 'running';
}

export function Conditions({ node }: { node: Node }): ReactElement {
  const all = node.status?.conditions ?? [];
  const troubles = all.filter(isTrouble);
  return (
    <section aria-label="Conditions of this host">
      {troubles.map((one) => (
        <div key={one.type} className="q-problem q-condition" role="status">
          <StateShape tone="wrong" />
          <div>
            <p><strong>{words(one.type)}</strong> <span className="q-dim"><RelativeTime at={one.lastTransition} /></span></p>
            <p>{one.message}</p>
          </div>
        </div>
      ))}
      <ul className="q-calm">
        {all.filter((one) => !isTrouble(one)).map((one) => (
          <li key={one.type} title={one.message}>
            <StateShape tone={toneOf(one)} />
            {one.status === NodeCondition_Status.UNKNOWN ? `${words(one.type)}: not known` : calm(one)}
          </li>
        ))}
      </ul>
    </section>
  );
}
