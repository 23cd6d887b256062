// The page's own quiet button, which says why where it may not be pressed: as `ReasonButton` does.

import { Tooltip } from '@patternfly/react-core/dist/esm/components/Tooltip';
import type { ComponentProps, ReactElement } from 'react';

interface Props extends Omit<ComponentProps<'button'>, 'disabled' | 'type' | 'ref'> {
  readonly type?: 'button' | 'submit';
  /** Why not, a sentence. Empty or absent: it may. */
  readonly reason?: string | undefined;
}

export function PlainButton({ reason, className = 'q-button', type = 'button', onClick, ...rest }: Props): ReactElement {
  if (!reason) return <button {...rest} type={type} className={className} onClick={onClick} />;
  return (
    <Tooltip content={reason}>
      <button {...rest} type="button" className={className} aria-disabled onClick={(event) => event.preventDefault()} />
    </Tooltip>
  );
}
