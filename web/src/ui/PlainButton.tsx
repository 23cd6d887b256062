// The page's own quiet button, which says why where it may not be pressed: as `ReasonButton` does.

import { lazy, Suspense, type ComponentProps, type ReactElement } from 'react';

/** Fetched where there is a reason to give. */
const Tooltip = lazy(() => import('@patternfly/react-core/dist/esm/components/Tooltip').then(({ Tooltip: component }) => ({ default: component })));

interface Props extends Omit<ComponentProps<'button'>, 'disabled' | 'type' | 'ref'> {
  readonly type?: 'button' | 'submit';
  /** Why not, a sentence. Empty or absent: it may. */
  readonly reason?: string | undefined;
}

export function PlainButton({ reason, className = 'q-button', type = 'button', onClick, ...rest }: Props): ReactElement {
  if (!reason) return <button {...rest} type={type} className={className} onClick={onClick} />;
  const button = <button {...rest} type="button" className={className} aria-disabled onClick={(event) => event.preventDefault()} />;
  return (
    <Suspense fallback={button}>
      <Tooltip content={reason}>{button}</Tooltip>
    </Suspense>
  );
}
