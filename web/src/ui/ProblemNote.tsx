// An error where it arose: the sentence, and the request id in small print.

import type { ReactElement, ReactNode } from 'react';
import { CopyText } from './CopyText';
import { StateShape } from './StateBadge';

interface Props {
  readonly message: string;
  readonly requestId?: string | undefined;
  /** What one can do about it. */
  readonly children?: ReactNode;
}

export function ProblemNote({ message, requestId, children }: Props): ReactElement {
  return (
    <div className="q-problem" role="alert">
      <StateShape tone="wrong" />
      <div>
        <p>{message}</p>
        {children}
        {requestId ? (
          <p className="q-small">
            request <CopyText text={requestId} what="request id" />
          </p>
        ) : null}
      </div>
    </div>
  );
}
