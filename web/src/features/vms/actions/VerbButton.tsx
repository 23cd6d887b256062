// One verb of one VM as a button: allowed or not is what the server said, and why not, too.

import type { ButtonProps } from '@patternfly/react-core/dist/esm/components/Button';
import type { ReactElement } from 'react';
import { allowance, type Verb } from '@/api/verbs';
import type { VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { ReasonButton } from '@/ui/ReasonButton';

interface Props {
  readonly vm: VirtualMachine;
  readonly verb: Verb;
  readonly onRun: (verb: Verb, vmId: string) => void;
  readonly variant?: ButtonProps['variant'];
  readonly size?: ButtonProps['size'];
}

export function VerbButton({ vm, verb, onRun, variant = 'secondary', size = 'sm' }: Props): ReactElement {
  const { allowed, reason } = allowance(vm, verb.verb);
  return (
    <ReasonButton
      variant={variant}
      size={size}
      isDanger={verb.harsh && allowed}
      reason={allowed ? undefined : reason || 'Not now.'}
      aria-label={`${verb.word} ${vm.name}`}
      onClick={(event) => {
        event.stopPropagation();
        onRun(verb, vm.id);
      }}
    >
      {verb.word}
    </ReasonButton>
  );
}
