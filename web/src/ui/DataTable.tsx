// A table of any length: only the rows in view are drawn, all are reachable by scroll and by key.
// j/k or the arrows move, Enter opens, x selects, Tab goes through what is in a row.

import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef, useState, type KeyboardEvent, type ReactElement, type ReactNode } from 'react';
import { leastWidth, moveTo, stepInside } from './grid_keys';

const TICK_WIDTH = '2.25rem';

export interface Column<T> {
  readonly id: string;
  readonly title: string;
  /** A track of CSS grid: `minmax(12rem, 2fr)`. */
  readonly width: string;
  readonly align?: 'right';
  /** Whether its head sorts. */
  readonly sortable?: boolean;
  /** What can be pressed in it has `tabIndex={-1}`: Tab leads there from the row. */
  readonly cell: (row: T) => ReactNode;
}

export interface Selection {
  readonly keys: ReadonlySet<string>;
  readonly onSelect: (key: string, on: boolean) => void;
  readonly onAll: (on: boolean) => void;
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
  readonly selection?: Selection | undefined;
  readonly rowHeight?: number;
}

export function DataTable<T>(props: Props<T>): ReactElement {
  const { label, columns, rows, keyOf, nameOf, sort, onSort, onOpen, selection, rowHeight = 40 } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState(0);
  // eslint-disable-next-line react-hooks/incompatible-library -- the virtualizer is meant to draw anew
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 6,
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : keyOf(row);
    },
  });
  const widths = [...(selection === undefined ? [] : [TICK_WIDTH]), ...columns.map((column) => column.width)];
  const tracks = widths.join(' ');
  const least = { minWidth: leastWidth(widths) };
  const items = virtual.getVirtualItems();
  // One row is the way in by Tab: the one last at, or the first in view.
  const entry = items.some((item) => item.index === focused) ? focused : (items[0]?.index ?? 0);

  const focusRow = (to: number): void => {
    setFocused(to);
    virtual.scrollToIndex(to);
    // A row that was out of view is drawn after the scroll.
    let tries = 10;
    const focus = (): void => {
      const row = scroller.current?.querySelector<HTMLElement>(`[data-index="${to}"]`);
      if (row !== null && row !== undefined) row.focus({ preventScroll: true });
      else if (tries-- > 0) requestAnimationFrame(focus);
    };
    focus();
  };
  const onKey = (event: KeyboardEvent<HTMLElement>): void => {
    const row = (event.target as HTMLElement).closest<HTMLElement>('[data-index]');
    if (row === null || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Tab') {
      if (stepInside(row, event.target as HTMLElement, event.shiftKey)) event.preventDefault();
      return;
    }
    if (event.target !== row) return;
    const index = Number(row.dataset['index']);
    const thing = rows[index];
    if (thing === undefined) return;
    const to = moveTo(event.key, index, rows.length, Math.floor((scroller.current?.clientHeight ?? 400) / rowHeight) - 2);
    if (to !== null) focusRow(to);
    else if (event.key === 'Enter' && onOpen !== undefined) onOpen(thing);
    else if ((event.key === 'x' || event.key === ' ') && selection !== undefined) {
      selection.onSelect(keyOf(thing), !selection.keys.has(keyOf(thing)));
    } else return;
    event.preventDefault();
  };

  const all = selection !== undefined && rows.length > 0 && rows.every((row) => selection.keys.has(keyOf(row)));
  return (
    <div className="q-table" role="grid" aria-label={label} aria-rowcount={rows.length + 1} aria-multiselectable={selection === undefined ? undefined : true}>
      <div className="q-table-scroll" ref={scroller} onKeyDown={onKey}>
        <div className="q-table-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: tracks, ...least }}>
          {selection === undefined ? null : (
            <span role="columnheader" className="q-cell">
              <input type="checkbox" aria-label="Select all" checked={all} onChange={(event) => selection.onAll(event.target.checked)} />
            </span>
          )}
          {columns.map((column) => {
            const sorted = sort?.column === column.id;
            const direction = sorted ? (sort.descending ? 'descending' : 'ascending') : undefined;
            const mark = <span className="q-sort-mark" aria-hidden="true">{sorted && sort.descending ? '↓' : '↑'}</span>;
            return (
              <span key={column.id} role="columnheader" aria-sort={direction} className={`q-cell ${column.align === 'right' ? 'q-right' : ''}`}>
                {column.sortable && onSort !== undefined ? (
                  <button type="button" className="q-sort" data-sorted={sorted ? '' : undefined} onClick={() => onSort(column.id)}>
                    {column.align === 'right' ? mark : null}
                    {column.title}
                    {column.align === 'right' ? null : mark}
                  </button>
                ) : (
                  column.title
                )}
              </span>
            );
          })}
        </div>
        <div className="q-table-body" role="rowgroup" style={{ height: virtual.getTotalSize(), ...least }}>
          {items.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            const key = keyOf(row);
            const chosen = selection?.keys.has(key);
            return (
              <div
                key={item.key}
                role="row"
                data-index={item.index}
                aria-rowindex={item.index + 2}
                aria-selected={chosen}
                aria-label={nameOf(row)}
                tabIndex={item.index === entry ? 0 : -1}
                className="q-row"
                style={{ gridTemplateColumns: tracks, height: rowHeight, transform: `translateY(${item.start}px)` }}
                onFocus={() => setFocused(item.index)}
                onDoubleClick={() => onOpen?.(row)}
              >
                {selection === undefined ? null : (
                  <span role="gridcell" className="q-cell">
                    <input type="checkbox" tabIndex={-1} aria-label={`Select ${nameOf(row)}`} checked={chosen ?? false} onChange={(event) => selection.onSelect(key, event.target.checked)} />
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
