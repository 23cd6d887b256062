// A part of the page that failed to draw says so and leaves the rest alone.

import { Component, type ReactNode } from 'react';
import { ProblemNote } from './ProblemNote';

interface Props {
  readonly children: ReactNode;
  /** Reads the request id out of what was thrown, where it holds one. */
  readonly requestIdOf?: (thrown: unknown) => string;
}

interface State {
  readonly thrown: unknown;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { thrown: null };

  static getDerivedStateFromError(thrown: unknown): State {
    return { thrown };
  }

  override render(): ReactNode {
    const { thrown } = this.state;
    if (thrown === null) return this.props.children;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return (
      <ProblemNote message={`This part of the page failed: ${message}`} requestId={this.props.requestIdOf?.(thrown)}>
        <button type="button" className="q-link" onClick={() => this.setState({ thrown: null })}>
          Draw it again
        </button>
      </ProblemNote>
    );
  }
}
