// A file of the host: its path typed, or one of those that lie in the pools.

import { useState, type ReactElement } from 'react';
import type { MediaOption_Kind as Kind, MediaOption } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { bytes } from '@/ui/format';
import { useCreation } from './context';
import { mediaOf } from './proposals';

interface Props {
  readonly input: { id: string; 'aria-describedby': string; 'aria-invalid': boolean };
  readonly kind: Kind;
  readonly path: string;
  readonly onPath: (path: string) => void;
  /** Said where there is none to pick. */
  readonly empty: string;
}

/** More are found by typing. */
const SHOWN = 100;
const FEW = 6;

function Choice({ medium, chosen, onPath }: { medium: MediaOption; chosen: boolean; onPath: (path: string) => void }): ReactElement {
  const name = medium.path.split('/').pop() ?? medium.path;
  return (
    <button type="button" className="q-medium" aria-pressed={chosen} title={medium.path} onClick={() => onPath(medium.path)}>
      <span className="q-mono q-cut">{name}</span>
      <span className="q-dim q-cut">{medium.usedBy === '' ? medium.pool : `used by ${medium.usedBy}`}</span>
      <span className="q-dim q-num">{bytes(medium.capacityBytes)}</span>
    </button>
  );
}

export function MediaPicker({ input, kind, path, onPath, empty }: Props): ReactElement {
  const { options } = useCreation();
  const [query, setQuery] = useState('');
  const media = mediaOf(options, kind);
  const found = media.filter((one) => one.path.toLowerCase().includes(query.toLowerCase()));
  return (
    <div className="q-picker">
      <input
        {...input}
        type="text"
        className="q-input q-mono"
        placeholder="/path/on/this/host"
        value={path}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => onPath(event.target.value)}
      />
      {media.length === 0 ? <p className="q-dim">{empty}</p> : null}
      {media.length > FEW ? (
        <input type="search" className="q-input" aria-label="Search the files in the pools" placeholder={`Search ${media.length} files in the pools`} value={query} onChange={(event) => setQuery(event.target.value)} />
      ) : null}
      {media.length > 0 ? (
        <div className="q-media" role="group" aria-label="Files in the pools">
          {found.slice(0, SHOWN).map((medium) => <Choice key={medium.path} medium={medium} chosen={medium.path === path.trim()} onPath={onPath} />)}
          {found.length === 0 ? <p className="q-dim q-medium-none">None is called “{query}”.</p> : null}
          {found.length > SHOWN ? <p className="q-dim q-medium-none">{found.length - SHOWN} more: search for them.</p> : null}
        </div>
      ) : null}
    </div>
  );
}
