// A new VM, on one page: from what the user has to what will be made, checked as it is typed.

import { useQuery } from '@connectrpc/connect-query';
import { Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core/dist/esm/components/Modal';
import { useCallback, useMemo, useState, type ReactElement } from 'react';
import { useSearchParams } from 'react-router';
import { may } from '@/api/access';
import { useAsked } from '@/api/asked';
import { toProblem } from '@/api/errors';
import { useVms } from '@/api/hooks';
import { Page } from '@/app/Page';
import { VMService, type CreateOptions } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { EmptyState } from '@/ui/EmptyState';
import { useKeys } from '@/ui/keys';
import { ProblemNote } from '@/ui/ProblemNote';
import { AdvancedSection } from './AdvancedSection';
import { CreationContext } from './context';
import './create.css';
import { DisksSection } from './DisksSection';
import { Tick } from './Field';
import { set, type Change } from './form';
import { IdentitySection, MachineSection } from './MachineSection';
import { NicsSection } from './NicsSection';
import { anchorOf, gather, labelOf, type Notes } from './notes';
import { firstForm, propose } from './proposals';
import { planCall, toRequest } from './request';
import { Review } from './Review';
import { StartSection } from './StartSection';
import { useLeaving } from './useLeaving';
import { useSubmit } from './useSubmit';

const PAUSE_MS = 400;

/** To a field, opening what hides it. */
function goTo(field: string): void {
  const place = document.getElementById(anchorOf(field));
  const hidden = place?.closest('details');
  if (hidden) hidden.open = true;
  place?.scrollIntoView({ block: 'center' });
  (place?.querySelector<HTMLElement>('input, select, button') ?? place)?.focus();
}

function whyNot(notes: Notes, asking: boolean, creating: boolean): string | undefined {
  if (creating) return 'It is being created.';
  // What the server said of an older request may no longer be so.
  const first = notes.obstacles.find((one) => one.missing || !asking);
  if (first === undefined) return undefined;
  return first.field === null ? first.message : `${labelOf(first.field)}: ${first.message}`;
}

function Leave({ onStay, onLeave }: { onStay: () => void; onLeave: () => void }): ReactElement {
  return (
    <Modal isOpen onClose={onStay} variant="small" aria-label="Leave this page">
      <ModalHeader title="Leave without creating it?" />
      <ModalBody>What was typed here is not kept.</ModalBody>
      <ModalFooter className="q-leave-foot">
        <button type="button" className="q-button q-danger" onClick={onLeave}>Leave</button>
        <button type="button" className="q-button" autoFocus onClick={onStay}>Stay</button>
      </ModalFooter>
    </Modal>
  );
}

function Creating({ options, onAgain }: { options: CreateOptions; onAgain: () => void }): ReactElement {
  const vms = useVms();
  const [query] = useSearchParams();
  const [first] = useState(() => firstForm(options, vms, query));
  const [form, setForm] = useState(first);
  const change = useCallback<Change>((next) => setForm((now) => propose(next(now), options, vms)), [options, vms]);
  const made = useMemo(() => toRequest(form, options), [form, options]);
  const plan = useMemo(() => planCall(made.input), [made]);
  const { answer, problem: refused, asking, again } = useAsked(plan, PAUSE_MS);
  const submission = useSubmit(made.input);
  const problem = submission.problem ?? refused;
  const notes = useMemo(() => gather({ unread: made.unread, missing: made.missing, problem, checks: answer?.preflight ?? [] }), [made, problem, answer]);
  const reason = whyNot(notes, asking, submission.creating);
  const leaving = useLeaving(form !== first, submission.mayLeave);
  const create = (): void => {
    const obstacle = notes.obstacles.find((one) => one.field !== null);
    if (reason === undefined) submission.create();
    else if (obstacle?.field) goTo(obstacle.field);
  };
  useKeys({
    'ctrl+Enter': (event) => {
      event.preventDefault();
      if (document.querySelector('dialog[open], [role="dialog"]') === null) create();
    },
  });
  return (
    <CreationContext value={useMemo(() => ({ form, change, options, notes }), [form, change, options, notes])}>
      <form className="q-create" aria-label="New VM" noValidate onSubmit={(event) => event.preventDefault()}>
        <div className="q-create-form">
          <StartSection />
          <IdentitySection />
          <MachineSection />
          <DisksSection />
          <NicsSection />
          <section className="q-part">
            <h2>When it is made</h2>
            <Tick field="start_on_create" label="Start it" on={form.startNow} onChange={(startNow) => change((now) => set(now, { startNow }))} />
            <Tick field="autostart" label="Start it with the host, from then on" on={form.autostart} onChange={(autostart) => change((now) => set(now, { autostart }))} />
          </section>
          <AdvancedSection />
        </div>
        <Review input={made.input} asking={asking} onAgain={() => { onAgain(); again(); }} submission={submission} reason={reason} onCreate={create} onGo={goTo} />
      </form>
      {leaving.state === 'blocked' ? <Leave onStay={() => leaving.reset()} onLeave={() => leaving.proceed()} /> : null}
    </CreationContext>
  );
}

export default function CreateVmPage(): ReactElement {
  const { allowed, reason } = may(VMService.method.createVM);
  if (!allowed) return <Page title="New VM"><EmptyState title="You may not create VMs"><p>{reason}</p></EmptyState></Page>;
  return <New />;
}

function New(): ReactElement {
  const { data, error, refetch } = useQuery(VMService.method.getCreateOptions);
  const again = (): void => void refetch();
  const problem = error === null ? null : toProblem(error);
  return (
    <Page title="New VM">
      {data !== undefined ? <Creating options={data} onAgain={again} /> : problem !== null ? (
        <ProblemNote message={`What a VM can be made of is not known: ${problem.message}`} requestId={problem.requestId}>
          <button type="button" className="q-link" onClick={again}>Ask again</button>
        </ProblemNote>
      ) : null}
    </Page>
  );
}
