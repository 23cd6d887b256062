// Combinations that the browser or the desktop would keep for itself.

import { Dropdown, DropdownItem, DropdownList } from '@patternfly/react-core/dist/esm/components/Dropdown';
import { MenuToggle } from '@patternfly/react-core/dist/esm/components/MenuToggle';
import { useState, type ReactElement } from 'react';
import { COMBINATIONS, type Combination } from './typing';

interface Props {
  readonly disabled: boolean;
  readonly onPress: (combination: Combination) => void;
}

export function KeysMenu({ disabled, onPress }: Props): ReactElement {
  const [open, setOpen] = useState(false);
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      isScrollable
      // Of a full screen, only what is inside is drawn.
      popperProps={{ appendTo: () => (document.fullscreenElement as HTMLElement | null) ?? document.body }}
      toggle={(ref) => (
        <MenuToggle ref={ref} variant="plainText" size="sm" isDisabled={disabled} isExpanded={open} onClick={() => setOpen(!open)}>
          Keys
        </MenuToggle>
      )}
    >
      <DropdownList>
        {COMBINATIONS.map((combination) => (
          <DropdownItem key={combination.word} onClick={() => onPress(combination)}>
            {combination.word}
          </DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  );
}
