// What a node is made of and what runs it: facts, then its disks and its NICs.

import type { ReactElement, ReactNode } from 'react';
import type { Node } from '@/gen/Quantixkvm/compute/v1/node_pb';
import { CopyText } from '@/ui/CopyText';
import { bytes } from '@/ui/format';
import { Since } from '@/ui/time';
import { diskKind, hardwareFacts, linkSpeed, nicPlace, softwareFacts, type Fact } from './node_facts';

function Panel({ title, children }: { title: string; children: ReactNode }): ReactElement {
  return (
    <section className="q-panel" aria-label={title}>
      <header className="q-panel-head"><h2>{title}</h2></header>
      {children}
    </section>
  );
}

function Pairs({ facts, children }: { facts: readonly Fact[]; children?: ReactNode }): ReactElement {
  return (
    <dl className="q-pairs">
      {facts.map(({ name, value }) => (
        <div key={name + value}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
      {children}
    </dl>
  );
}

export function Hardware({ node }: { node: Node }): ReactElement {
  return <Panel title="Hardware"><Pairs facts={hardwareFacts(node)} /></Panel>;
}

export function Software({ node }: { node: Node }): ReactElement {
  const boot = node.status?.system?.bootTime;
  return (
    <Panel title="Software">
      <Pairs facts={softwareFacts(node)}>
        {boot === undefined ? null : <div><dt>Up for</dt><dd><Since at={boot} /></dd></div>}
        <div><dt>Id</dt><dd><CopyText text={node.id} what="id" /></dd></div>
      </Pairs>
    </Panel>
  );
}

export function Devices({ node }: { node: Node }): ReactElement {
  const disks = node.spec?.storage ?? [];
  const nics = node.spec?.network ?? [];
  return (
    <>
      <Panel title="Block devices">
        {disks.length === 0 ? <p className="q-dim">None is told of.</p> : (
          <ul className="q-lines">
            {disks.map((disk) => (
              <li key={disk.path} className="q-line q-node-device">
                <span className="q-mono">{disk.path}</span>
                <span className="q-dim q-cut" title={disk.serial === '' ? undefined : `serial ${disk.serial}`}>{[diskKind(disk), disk.model].filter(Boolean).join(', ')}</span>
                <span className="q-grow" />
                <span className="q-dim">{disk.usage === '' ? 'not in use' : disk.usage}</span>
                <span className="q-num q-figure">{bytes(disk.sizeBytes)}</span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
      <Panel title="Network devices">
        {nics.length === 0 ? <p className="q-dim">None is told of.</p> : (
          <ul className="q-lines">
            {nics.map((nic) => (
              <li key={nic.name} className="q-line q-node-device">
                <span className="q-mono">{nic.name}</span>
                <span className="q-dim q-cut">{[nic.driver, nicPlace(nic), nic.sriovCapable ? `SR-IOV, ${nic.sriovVfsUsed} of ${nic.sriovVfsTotal}` : ''].filter(Boolean).join(', ')}</span>
                <span className="q-grow" />
                {(nic.config?.ipAddresses ?? []).slice(0, 2).map((address) => <span key={address} className="q-mono q-cut">{address}</span>)}
                <span className="q-dim q-num" title={`MAC ${nic.macAddress}, MTU ${nic.mtu}`}>{linkSpeed(nic.speedMbps) || 'link unknown'}</span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </>
  );
}
