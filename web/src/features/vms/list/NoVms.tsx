// The first VM: the ways to get one.

import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { may } from '@/api/access';
import { call } from '@/api/call';
import { asCurl } from '@/api/curl';
import { paths } from '@/app/paths';
import { VMService } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { CopyText } from '@/ui/CopyText';
import { EmptyState } from '@/ui/EmptyState';

const EXAMPLE = call(VMService.method.createVM, {
  name: 'web-1',
  spec: { cpu: { cores: 2 }, memory: { sizeMib: 2048n }, disks: [{ sizeGib: 20n }] },
  startOnCreate: true,
});

export function NoVms(): ReactElement {
  const create = may(VMService.method.createVM);
  const curl = asCurl(EXAMPLE, location.origin);
  return (
    <EmptyState title="No VM on this host yet">
      <p className="q-dim">There are three ways to get one.</p>
      <ol className="q-ways">
        <li>
          <h3>{create.allowed ? <Link to={paths.newVm()}>Create one here</Link> : 'Create one here'}</h3>
          {create.allowed ? null : <p>{create.reason}</p>}
          <p>From an installation ISO, a disk image that lies in a pool, or an empty disk.</p>
        </li>
        <li>
          <h3>Bring one that exists</h3>
          <p>
            Whatever libvirt runs on this host shows up by itself, within a second: <span className="q-mono">virsh define</span>,{' '}
            <span className="q-mono">virt-install</span>, virt-manager. Adopt it when you want to manage it here.
          </p>
        </li>
        <li>
          <h3>Call the API</h3>
          <pre className="q-code">{curl}</pre>
          <p><CopyText text={curl} shown="Copy" what="the call" /></p>
        </li>
      </ol>
    </EmptyState>
  );
}
