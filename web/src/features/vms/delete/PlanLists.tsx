// What goes and what stays, each thing by name.

import type { ReactElement } from 'react';
import type { DeleteVMResponse, DeletionItem } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { freesWord, kindWord, sizeWord } from './plan';

function Items({ label, items }: { label: string; items: readonly DeletionItem[] }): ReactElement {
  return (
    <section className="q-plan" aria-label={label}>
      <h3>{label}</h3>
      {items.length === 0 ? <p className="q-dim">Nothing.</p> : (
        <ul>
          {items.map((item) => (
            <li key={`${item.kind} ${item.name}`}>
              <span className="q-dim">{kindWord(item.kind)}</span>
              <span className="q-plan-what">
                <span className="q-mono">{item.name}</span>
                {item.reason === '' ? null : <span className="q-dim q-plan-why">{item.reason}</span>}
              </span>
              <span className="q-num q-dim">{sizeWord(item)}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function PlanLists({ plan, asking }: { plan: DeleteVMResponse; asking: boolean }): ReactElement {
  return (
    <div className="q-plans" aria-busy={asking}>
      <Items label="Goes" items={plan.gone} />
      <Items label="Stays" items={plan.kept} />
      <p>{freesWord(plan)}</p>
    </div>
  );
}
