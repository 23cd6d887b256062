// Every verb of one VM: those that are not allowed stay and say why; each shows its call as curl.

import { Dropdown, DropdownItem, DropdownList } from '@patternfly/react-core/dist/esm/components/Dropdown';
import { MenuToggle } from '@patternfly/react-core/dist/esm/components/MenuToggle';
import { useEffect, useState, type ReactElement, type ReactNode } from 'react';
import { asCurl } from '@/api/curl';
import { allowance, VERBS, type Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { copy } from '@/ui/CopyText';
import { Icon } from '@/ui/icons';
import { note } from '@/ui/toasts';
import { askDelete, mayDelete } from './ask';

/** Opens the second half of the menu, and closes nothing. */
const COPY = 'copy';
const HARSH = 'The guest is not asked: what it has not written is lost.';

interface Props {
  readonly vm: VirtualMachine;
  readonly onRun: (verb: Verb, vmId: string) => void;
  readonly onDeleted?: () => void;
  /** On the button that opens it; three dots otherwise. */
  readonly word?: ReactNode;
  /** It is made because it was asked for. */
  readonly startsOpen?: boolean;
}

function copyCurl(verb: Verb, vm: VirtualMachine): void {
  void copy(asCurl(verb.call(vm.id), location.origin)).then((done) =>
    note(done ? `The call of “${verb.word} ${vm.name}” is copied.` : 'The browser did not let it be copied.'),
  );
}

export function VerbMenu({ vm, onRun, onDeleted, word = <Icon name="more" />, startsOpen = false }: Props): ReactElement {
  const [open, setOpen] = useState(false);
  const [copying, setCopying] = useState(false);
  useEffect(() => {
    if (!startsOpen) return undefined;
    // The menu is placed by its button, which must be there first.
    const frame = requestAnimationFrame(() => setOpen(true));
    return () => cancelAnimationFrame(frame);
  }, [startsOpen]);
  const show = (shown: boolean): void => {
    setOpen(shown);
    setCopying(false);
  };
  const deletion = mayDelete(vm);
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={show}
      onSelect={(_event, value) => { if (value !== COPY) show(false); }}
      shouldFocusFirstItemOnOpen
      popperProps={{ position: 'end', maxWidth: '24rem' }}
      toggle={(ref) => (
        <MenuToggle ref={ref} variant="plain" size="sm" aria-label={`Actions of ${vm.name}`} isExpanded={open} onClick={(event) => { event.stopPropagation(); show(!open); }}>
          {word}
        </MenuToggle>
      )}
    >
      <DropdownList>
        {copying
          ? VERBS.filter((verb) => allowance(vm, verb.verb).allowed).map((verb) => (
              <DropdownItem key={verb.verb} onClick={() => copyCurl(verb, vm)}>
                Copy the call of “{verb.word}”
              </DropdownItem>
            ))
          : VERBS.map((verb) => {
              const { allowed, reason } = allowance(vm, verb.verb);
              const about = allowed ? (verb.harsh ? HARSH : undefined) : reason;
              return (
                <DropdownItem key={verb.verb} isDanger={verb.harsh && allowed} isAriaDisabled={!allowed} description={about} onClick={() => onRun(verb, vm.id)}>
                  {verb.word}
                </DropdownItem>
              );
            })}
        {copying ? null : (
          <>
            <DropdownItem isDanger={deletion.allowed} isAriaDisabled={!deletion.allowed} description={deletion.allowed ? undefined : deletion.reason} onClick={() => askDelete([vm], onDeleted)}>
              Delete…
            </DropdownItem>
            <DropdownItem value={COPY} isAriaDisabled={!VERBS.some((verb) => allowance(vm, verb.verb).allowed)} onClick={() => setCopying(true)}>
              Copy as curl…
            </DropdownItem>
          </>
        )}
      </DropdownList>
    </Dropdown>
  );
}
