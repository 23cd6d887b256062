// libvirt's own definition, to be read, and the VM as the API gives it.

import { toJson } from '@bufbuild/protobuf';
import { useQuery } from '@connectrpc/connect-query';
import { useMemo, type ReactElement } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { toProblem } from '@/api/errors';
import { useVm } from '@/api/hooks';
import { VirtualMachineSchema, type VirtualMachine } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { ProblemNote } from '@/ui/ProblemNote';
import { CodeView } from './CodeView';
import { compare } from './line_diff';

const SHOWN = ['persistent', 'live', 'compare', 'json'] as const;
type Shown = (typeof SHOWN)[number];
const WORDS: Record<Shown, string> = { persistent: 'Persistent XML', live: 'Live XML', compare: 'What differs', json: 'JSON' };
const ABOUT: Record<Shown, string> = {
  persistent: 'What it is made of at its next start. Changes go through the API; libvirt keeps what the API does not know.',
  live: 'What runs now, with what libvirt and QEMU chose: addresses, aliases, paths.',
  compare: 'Lines of the persistent definition that do not run now (−) and lines that run and are not in it (+). Much of it libvirt adds by itself at a start.',
  json: 'The VM as GetVM answers it, as it changes.',
};

function Xml({ vm, shown }: { vm: VirtualMachine; shown: Exclude<Shown, 'json'> }): ReactElement | null {
  const { data, error, refetch } = useQuery(VMService.method.getVMDefinition, { id: vm.id }, { staleTime: 0 });
  const differs = useMemo(() => (data === undefined ? [] : compare(data.persistentXml, data.liveXml)), [data]);
  if (error !== null) {
    const problem = toProblem(error);
    return (
      <ProblemNote message={problem.message} requestId={problem.requestId}>
        <button type="button" className="q-link" onClick={() => void refetch()}>Ask again</button>
      </ProblemNote>
    );
  }
  if (data === undefined) return null;
  const file = `${vm.name}.xml`;
  if (shown === 'compare') {
    if (data.liveXml === '' || data.persistentXml === '') return <p className="q-dim">{data.liveXml === '' ? 'It is off: nothing runs that could differ.' : 'It is transient: there is no persistent definition.'}</p>;
    return <CodeView label="What differs" language="xml" lines={differs} copied={differs.map((line) => `${line.mark ?? ' '}${line.text}`).join('\n')} file={file} />;
  }
  const text = shown === 'live' ? data.liveXml : data.persistentXml;
  if (text === '') return <p className="q-dim">{shown === 'live' ? 'It is off: there is no live definition.' : 'It is transient: it has no persistent definition and is gone when it stops.'}</p>;
  return <CodeView label={WORDS[shown]} language="xml" lines={text.trimEnd().split('\n').map((line) => ({ text: line }))} copied={text} file={file} />;
}

function Json({ vm }: { vm: VirtualMachine }): ReactElement {
  const text = useMemo(() => JSON.stringify(toJson(VirtualMachineSchema, vm), null, 2), [vm]);
  return <CodeView label={WORDS.json} language="json" lines={text.split('\n').map((line) => ({ text: line }))} copied={text} file={`${vm.name}.json`} />;
}

export default function DefinitionTab(): ReactElement | null {
  const { id = '' } = useParams();
  const vm = useVm(id);
  const [search, setSearch] = useSearchParams();
  if (vm === undefined) return null;
  const shown = SHOWN.find((one) => one === search.get('show')) ?? 'persistent';
  return (
    <section className="q-def" aria-label="Definition">
      <div className="q-choice" role="group" aria-label="Which definition">
        {SHOWN.map((one) => (
          <button key={one} type="button" aria-pressed={one === shown} onClick={() => setSearch(one === 'persistent' ? {} : { show: one }, { replace: true })}>
            {WORDS[one]}
          </button>
        ))}
      </div>
      <p className="q-small">{ABOUT[shown]}</p>
      {/* Another definition has another version; a start or a stop makes the live one: asked anew. */}
      {shown === 'json' ? <Json vm={vm} /> : <Xml key={`${vm.resourceVersion} ${vm.status?.state}`} vm={vm} shown={shown} />}
    </section>
  );
}
