// Every operation that the server remembers: in flight, and how the others ended.

import type { ReactElement } from 'react';
import { Page } from '@/app/Page';
import { EmptyState } from '@/ui/EmptyState';
import { ProblemNote } from '@/ui/ProblemNote';
import { OperationLine } from './OperationLine';
import { useOperationPages } from './useOperationPages';

const PAGE = 50;

export default function OperationsPage(): ReactElement {
  const { running, ended, known, problem, loading, loadMore } = useOperationPages(PAGE);
  const nothing = known && running.length === 0 && ended.length === 0;
  return (
    <Page title="Operations" aside={running.length === 0 ? null : <span className="q-num q-dim" role="status">{running.length} running</span>}>
      <div className="q-ops-page">
        {problem === null ? null : <ProblemNote message={problem.message} requestId={problem.requestId} />}
        {nothing ? (
          <EmptyState title="Nothing has been done yet">
            <p>Each verb on a VM, and each drain of a node, is kept here: how far it is, and how it ended.</p>
          </EmptyState>
        ) : null}
        {running.length === 0 ? null : (
          <section aria-label="Running">
            <h2 className="q-ops-head">Running</h2>
            <ul className="q-ops">{running.map((one) => <OperationLine key={one.id} operation={one} />)}</ul>
          </section>
        )}
        {ended.length === 0 ? null : (
          <section aria-label="Ended">
            <h2 className="q-ops-head">Ended</h2>
            <ul className="q-ops">{ended.map((one) => <OperationLine key={one.id} operation={one} />)}</ul>
          </section>
        )}
        {loadMore === null ? null : (
          <p className="q-more">
            <button type="button" className="q-button" aria-disabled={loading} onClick={() => (loading ? undefined : loadMore())}>
              {loading ? 'Loading' : 'Load older'}
            </button>
          </p>
        )}
      </div>
    </Page>
  );
}
