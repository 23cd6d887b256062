// A table of any length: only the rows in view are drawn, all are reachable by scroll and by key.
// j/k or the arrows move, Enter opens, x selects.

import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, type KeyboardEvent, type ReactElement, type ReactNode } from 'react';

export interface Column<T> {
  readonly id: string;
  readonly title: string;
  /** A track of CSS grid: `minmax(12rem, 2fr)`. */
  readonly width: string;
  readonly align?: 'right';
  /** Whether its head sorts. */
  readonly sortable?: boolean;
  readonly cell: (row: T) => ReactNode;
}

interface Props<T> {
  /** What the rows are, for a screen reader. */
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  /** Name of a row, for a screen reader. */
  readonly nameOf: (row: T) => string;
  readonly sort?: { readonly column: string; readonly descending: boolean } | undefined;
  readonly onSort?: ((column: string) => void) | undefined;
  readonly onOpen?: ((row: T) => void) | undefined;
  readonly selected?: ReadonlySet<string> | undefined;
  readonly onSelect?: ((key: string, on: boolean) => void) | undefined;
  readonly onSelectAll?: ((on: boolean) => void) | undefined;
  readonly rowHeight?: number;
}

export function DataTable<T>(props: Props<T>): ReactElement {
  const { columns, rows, keyOf, nameOf, sort, onSort, onOpen, selected, onSelect, onSelectAll, rowHeight = 40 } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const active = useRef(0);
  // eslint-disable-next-line react-hooks/incompatible-library -- the virtualizer is meant to draw anew
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : keyOf(row);
    },
  });
  const tracks = `${selected === undefined ? '' : '2.5rem '}${columns.map((column) => column.width).join(' ')}`;

  const focusRow = (index: number): void => {
    const to = Math.max(0, Math.min(rows.length - 1, index));
    active.current = to;
    virtual.scrollToIndex(to);
    // The row may be drawn only after the scroll.
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-index="${to}"]`)?.focus());
  };
  const onKey = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    const onRow = target.dataset['index'] !== undefined;
    if (!onRow || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = Number(target.dataset['index']);
    const row = rows[index];
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / rowHeight) - 2);
    const moves: Record<string, number> = {
      j: index + 1, ArrowDown: index + 1, k: index - 1, ArrowUp: index - 1,
      PageDown: index + page, PageUp: index - page, Home: 0, End: rows.length - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) focusRow(to);
    else if (event.key === 'Enter' && row !== undefined && onOpen !== undefined) onOpen(row);
    else if ((event.key === 'x' || event.key === ' ') && row !== undefined && onSelect !== undefined) {
      onSelect(keyOf(row), !selected?.has(keyOf(row)));
    } else return;
    event.preventDefault();
  };
  useEffect(() => {
    active.current = Math.min(active.current, Math.max(0, rows.length - 1));
  }, [rows.length]);

  const allSelected = selected !== undefined && rows.length > 0 && rows.every((row) => selected.has(keyOf(row)));
  return (
    <div className="q-table" role="grid" aria-label={label(props.label, rows.length)} aria-rowcount={rows.length + 1} aria-multiselectable={selected === undefined ? undefined : true}>
      <div className="q-table-scroll" ref={scroller} onKeyDown={onKey}>
        <div className="q-table-head" role="row" style={{ gridTemplateColumns: tracks }}>
          {selected === undefined ? null : (
            <span role="columnheader" className="q-cell">
              <input type="checkbox" aria-label="Select all" checked={allSelected} onChange={(event) => onSelectAll?.(event.target.checked)} />
            </span>
          )}
          {columns.map((column) => {
            const sorted = sort?.column === column.id;
            const direction = sorted ? (sort.descending ? 'descending' : 'ascending') : undefined;
            return (
              <span key={column.id} role="columnheader" aria-sort={direction} className={`q-cell ${column.align === 'right' ? 'q-right' : ''}`}>
                {column.sortable && onSort !== undefined ? (
                  <button type="button" className="q-sort" onClick={() => onSort(column.id)}>
                    {column.title}
                    <span aria-hidden="true">{sorted ? (sort.descending ? ' ↓' : ' ↑') : ''}</span>
                  </button>
                ) : (
                  column.title
                )}
              </span>
            );
          })}
        </div>
        <div className="q-table-body" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            const key = keyOf(row);
            const chosen = selected?.has(key);
            return (
              <div
                key={item.key}
                role="row"
                data-index={item.index}
                aria-rowindex={item.index + 2}
                aria-selected={chosen}
                aria-label={nameOf(row)}
                tabIndex={0}
                className="q-row"
                style={{ gridTemplateColumns: tracks, height: rowHeight, transform: `translateY(${item.start}px)` }}
                onDoubleClick={() => onOpen?.(row)}
              >
                {selected === undefined ? null : (
                  <span role="gridcell" className="q-cell">
                    <input type="checkbox" tabIndex={-1} aria-label={`Select ${nameOf(row)}`} checked={chosen ?? false} onChange={(event) => onSelect?.(key, event.target.checked)} />
                  </span>
                )}
                {columns.map((column) => (
                  <span key={column.id} role="gridcell" className={`q-cell ${column.align === 'right' ? 'q-right' : ''}`}>
                    {column.cell(row)}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function label(what: string, count: number): string {
  return `${what}, ${count}`;
}
