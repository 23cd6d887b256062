import type { ReactElement } from 'react';
import { Link } from 'react-router';
import { useOperations, useThisNode } from '@/api/hooks';
import { Operation_State } from '@/gen/Quantixkvm/operation/v1/operation_pb';
import { paths } from './paths';
import { setTheme, useTheme, type Theme } from './theme';

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

interface Props {
  readonly onOperations: () => void;
  readonly operationsOpen: boolean;
}

export function Masthead({ onOperations, operationsOpen }: Props): ReactElement {
  const node = useThisNode();
  const theme = useTheme();
  const running = useOperations().filter((one) => one.state === Operation_State.RUNNING).length;
  return (
    <header className="q-masthead">
      <Link to={paths.overview()} className="q-brand">Quantix-KVM</Link>
      <span>{node?.hostname}</span>
      <span className="q-grow" />
      <button type="button" className="q-link" aria-expanded={operationsOpen} onClick={onOperations}>
        {running} running
      </button>
      <button type="button" className="q-link" onClick={() => setTheme(NEXT[theme])}>
        Theme: {theme}
      </button>
    </header>
  );
}
