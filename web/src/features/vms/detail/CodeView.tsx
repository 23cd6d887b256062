// A text of many lines in light colours, to be read and copied.

import { Button } from '@patternfly/react-core/dist/esm/components/Button';
import { memo, useState, type ReactElement } from 'react';
import { copy } from '@/ui/CopyText';
import { tokensOfJson, tokensOfXml, type Token } from './tokens';

export interface Line {
  readonly text: string;
  readonly mark?: '+' | '-' | undefined;
}

interface Props {
  readonly label: string;
  readonly language: 'xml' | 'json';
  readonly lines: readonly Line[];
  readonly copied: string;
  /** Name of the file that is saved. */
  readonly file: string;
}

const CodeLine = memo(function CodeLine({ text, mark, marked, language }: { text: string; mark: '+' | '-' | undefined; marked: boolean; language: 'xml' | 'json' }): ReactElement {
  const tokens: readonly Token[] = language === 'xml' ? tokensOfXml(text) : tokensOfJson(text);
  return (
    <span className={mark === '+' ? 'q-listing-line q-listing-more' : mark === '-' ? 'q-listing-line q-listing-less' : 'q-listing-line'}>
      {marked ? <span className="q-listing-mark">{mark === '-' ? '−' : mark === '+' ? '+' : ' '}</span> : null}
      {tokens.map((token, index) => (token.kind === 'plain' ? token.text : <span key={index} className={`q-listing-${token.kind}`}>{token.text}</span>))}
    </span>
  );
});

export function CodeView({ label, language, lines, copied, file }: Props): ReactElement {
  const [said, setSaid] = useState('');
  const marked = lines.some((line) => line.mark !== undefined);
  const save = (): void => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([copied], { type: 'text/plain' }));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  return (
    <div className="q-listing">
      <div className="q-listing-acts">
        <span className="q-small" role="status">{said}</span>
        <Button size="sm" variant="link" isInline onClick={() => void copy(copied).then((done) => setSaid(done ? 'Copied' : 'The browser did not let it be copied'))}>Copy</Button>
        <Button size="sm" variant="link" isInline onClick={save}>Save</Button>
      </div>
      {/* It scrolls, so it takes the focus. */}
      <pre className="q-listing-text" tabIndex={0} role="region" aria-label={label}>
        {lines.map((line, index) => <CodeLine key={index} text={line.text} mark={line.mark} marked={marked} language={language} />)}
      </pre>
    </div>
  );
}
