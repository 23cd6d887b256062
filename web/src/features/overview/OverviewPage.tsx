// The host at a glance: whether it is well, what it does, what is left of it, what goes on.

import type { ReactElement } from 'react';
import { useThisNode, useVms } from '@/api/hooks';
import { Page } from '@/app/Page';
import { VmStatus_PowerState } from '@/gen/Quantixkvm/compute/v1/vm_pb';
import { Since } from '@/ui/time';
import { Busiest } from './Busiest';
import { Capacity } from './Capacity';
import { Conditions } from './Conditions';
import { Latest } from './Latest';
import { NodeCharts } from './NodeCharts';
import './overview.css';
import { Running } from './Running';

export default function OverviewPage(): ReactElement | null {
  const node = useThisNode();
  const vms = useVms();
  if (node === undefined) return null;
  const running = vms.filter((vm) => vm.status?.state === VmStatus_PowerState.RUNNING).length;
  const system = node.status?.system;
  return (
    <Page
      title="Overview"
      aside={
        <span className="q-facts-line">
          <span>{running} of {vms.length} VMs run</span>
          {system?.bootTime === undefined ? null : <span className="q-dim">up <Since at={system.bootTime} /></span>}
          {system === undefined ? null : <span className="q-dim q-wide">{[`${system.osName} ${system.osVersion}`, system.kernelVersion, `${system.hypervisor} ${system.hypervisorVersion}`].map((fact) => fact.trim()).filter((fact) => fact !== '').join(' · ')}</span>}
        </span>
      }
    >
      <Conditions node={node} />
      <NodeCharts nodeId={node.id} />
      <div className="q-columns">
        <Capacity node={node} />
        <Busiest />
        <Running />
        <Latest />
      </div>
    </Page>
  );
}
