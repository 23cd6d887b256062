// A list that is a table at a desk and cards on a telephone, both from the same columns.

import type { ReactElement } from 'react';
import { DataTable, type Column } from '@/ui/DataTable';
import { useNarrow } from '@/ui/time';
import { VirtualList } from '@/ui/VirtualList';

interface Props<T> {
  readonly label: string;
  /** The first is the card's head, the last one its actions. */
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly nameOf: (row: T) => string;
}

export function Listing<T>(props: Props<T>): ReactElement {
  const { label, columns, rows, keyOf, nameOf } = props;
  const narrow = useNarrow();
  if (!narrow) return <DataTable {...props} />;
  const [head, ...rest] = columns;
  const actions = rest.pop();
  return (
    <VirtualList
      label={label}
      items={rows}
      keyOf={keyOf}
      height={132}
      draw={(row) => (
        <article className="q-access-card" aria-label={nameOf(row)}>
          <div className="q-access-card-head">{head?.cell(row)}<span className="q-grow" />{actions?.cell(row)}</div>
          <dl>
            {rest.map((column) => <div key={column.id}><dt>{column.title}</dt><dd>{column.cell(row)}</dd></div>)}
          </dl>
        </article>
      )}
    />
  );
}
