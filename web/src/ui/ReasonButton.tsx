// An action that may not be asked for now and says why: it keeps its place and the focus, does
// nothing, and gives its reason to whoever points at it, reaches it or listens.

import { Button, type ButtonProps } from '@patternfly/react-core/dist/esm/components/Button';
import { Tooltip } from '@patternfly/react-core/dist/esm/components/Tooltip';
import type { ReactElement } from 'react';

interface Props extends Omit<ButtonProps, 'isDisabled' | 'isAriaDisabled' | 'ref'> {
  /** Why not, a sentence. Empty or absent: it may. */
  readonly reason?: string | undefined;
}

export function ReasonButton({ reason, onClick, ...rest }: Props): ReactElement {
  if (!reason) return <Button {...rest} onClick={onClick} />;
  return (
    <Tooltip content={reason}>
      <Button {...rest} isAriaDisabled />
    </Tooltip>
  );
}
