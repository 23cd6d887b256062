// Cards of any number, one below the other: only those in view are drawn.

import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef, type ReactElement, type ReactNode } from 'react';

interface Props<T> {
  readonly label: string;
  readonly items: readonly T[];
  readonly keyOf: (item: T) => string;
  /** About how high one is; each is measured when it is drawn. */
  readonly height: number;
  readonly draw: (item: T) => ReactNode;
}

export function VirtualList<T>({ label, items, keyOf, height, draw }: Props<T>): ReactElement {
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- the virtualizer is meant to draw anew
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 6,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : keyOf(item);
    },
  });
  return (
    <div className="q-list-scroll" ref={scroller}>
      <div role="list" aria-label={label} className="q-table-body" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((place) => {
          const item = items[place.index];
          return item === undefined ? null : (
            <div key={place.key} role="listitem" data-index={place.index} aria-setsize={items.length} aria-posinset={place.index + 1} ref={virtual.measureElement} className="q-list-item" style={{ transform: `translateY(${place.start}px)` }}>
              {draw(item)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
