// A page that could not be drawn or fetched.

import type { ReactElement } from 'react';
import { useRouteError } from 'react-router';
import { toProblem } from '@/api/errors';
import { ProblemNote } from '@/ui/ProblemNote';

export function RouteProblem(): ReactElement {
  const thrown = useRouteError();
  const { message, requestId } = toProblem(thrown);
  return (
    <div className="q-page">
      <ProblemNote message={`This page could not be drawn: ${message}`} requestId={requestId}>
        <button type="button" className="q-link" onClick={() => location.reload()}>
          Load it again
        </button>
      </ProblemNote>
    </div>
  );
}
