// Where one is, whether it is well, the way to anything, what runs.

import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useConnection, useOperations, useThisNode } from '@/api/hooks';
import type { ConnectionState } from '@/api/live';
import { useWho } from '@/api/session';
import { WhoAmIResponse_Kind } from '@/gen/Quantixkvm/auth/v1/auth_service_pb';
import { Operation_State } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { Icon } from '@/ui/icons';
import { KeyHint } from '@/ui/KeyHint';
import { StateBadge, type Tone } from '@/ui/StateBadge';
import { nodeHealth } from './node_health';
import { paths } from './paths';
import { UserMenu } from './UserMenu';
import { setTheme, useTheme, type Theme } from './theme';

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const CONNECTION: Record<ConnectionState['kind'], readonly [Tone, string]> = {
  connecting: ['moving', 'connecting'],
  open: ['running', 'live'],
  lost: ['wrong', 'no connection'],
};

/** What a node of libvirt's test driver says that it runs on. */
const TEST_DRIVER = 'TEST';
const DRIVER = "This is libvirt's test driver: VMs change state, and no guest runs.";
const DEMO = `A demonstration: whoever opens it is its administrator, and it keeps nothing. ${DRIVER}`;

interface Props {
  readonly onPalette: () => void;
  readonly onOperations: () => void;
  readonly operationsOpen: boolean;
}

function ThisNode(): ReactElement | null {
  const node = useThisNode();
  const demo = useWho()?.kind === WhoAmIResponse_Kind.DEMO;
  if (node === undefined) return null;
  const { tone, word, why } = nodeHealth(node);
  return (
    <Link to={paths.node(node.id)} className="q-this-node">
      <span className="q-this-node-name">{node.hostname}</span>
      <StateBadge tone={tone} word={word} title={why} />
      {demo ? <span className="q-tag q-wide" title={DEMO}>demo</span> : node.status?.system?.hypervisor === TEST_DRIVER ? <span className="q-tag q-wide" title={DRIVER}>test driver</span> : null}
    </Link>
  );
}

export function Masthead({ onPalette, onOperations, operationsOpen }: Props): ReactElement {
  const theme = useTheme();
  const connection = useConnection();
  const running = useOperations().filter((one) => one.state === Operation_State.RUNNING).length;
  const [tone, word] = CONNECTION[connection.kind];
  return (
    <header className="q-masthead">
      <Link to={paths.overview()} className="q-brand" aria-label="Quantix-KVM">
        <img src="/favicon.svg" alt="" width="20" height="20" />
        <span className="q-wide">Quantix-KVM</span>
      </Link>
      <ThisNode />
      <button type="button" className="q-seek" onClick={onPalette} aria-label="Search or run… Ctrl K" aria-keyshortcuts="Control+K">
        <Icon name="search" size={14} />
        <span className="q-wide">Search or run…</span>
        <span className="q-wide q-grow" />
        <span className="q-wide"><KeyHint keys="Ctrl K" /></span>
      </button>
      <button type="button" className="q-mast-button" aria-expanded={operationsOpen} aria-label={`Operations: ${running} running`} onClick={onOperations}>
        {running > 0 ? <StateBadge tone="moving" word={`${running} running`} /> : <><Icon name="operations" size={14} /><span className="q-wide">Operations</span></>}
      </button>
      <span className="q-wide" title="The connection that keeps this page true"><StateBadge tone={tone} word={word} /></span>
      <button type="button" className="q-mast-button" aria-label={`Theme: ${theme}. Change to ${NEXT[theme]}`} title={`Theme: ${theme}`} onClick={() => setTheme(NEXT[theme])}>
        <Icon name="theme" />
      </button>
      <UserMenu />
    </header>
  );
}
