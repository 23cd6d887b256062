// What can be done to a row: each with why not, where it may not.

import { Dropdown, DropdownItem, DropdownList } from '@patternfly/react-core/dist/esm/components/Dropdown';
import { MenuToggle } from '@patternfly/react-core/dist/esm/components/MenuToggle';
import { useState, type ReactElement } from 'react';
import { Icon } from '@/ui/icons';

export interface RowAction {
  readonly word: string;
  readonly danger?: boolean;
  readonly reason?: string | undefined;
  readonly onClick: () => void;
}

export function RowMenu({ of, actions }: { of: string; actions: readonly RowAction[] }): ReactElement {
  const [open, setOpen] = useState(false);
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      shouldFocusFirstItemOnOpen
      popperProps={{ position: 'end', maxWidth: '22rem' }}
      toggle={(ref) => (
        <MenuToggle ref={ref} variant="plain" size="sm" tabIndex={-1} aria-label={`Actions of ${of}`} isExpanded={open} onClick={() => setOpen(!open)}>
          <Icon name="more" />
        </MenuToggle>
      )}
    >
      <DropdownList>
        {actions.map(({ word, danger = false, reason, onClick }) => (
          <DropdownItem key={word} isDanger={danger && reason === undefined} isAriaDisabled={reason !== undefined} description={reason} onClick={onClick}>{word}</DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  );
}
