// Few rules: what the compiler can't see, and the layers of the page.

import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

const not = (group, message) => ({ group, message });
const whole = { regex: '^@patternfly/react-(core|icons)$', message: 'Import the one component, so that only its styles are bundled.' };
const layer = (files, patterns) => ({ files, rules: { 'no-restricted-imports': ['error', { patterns }] } });

export default tseslint.config(
  { ignores: ['dist', 'src/gen', 'node_modules'] },
  ...tseslint.configs.recommended,
  reactHooks.configs.flat.recommended,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    rules: {
      eqeqeq: 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-restricted-globals': ['error', { name: 'fetch', message: 'Ask the server through src/api.' }],
      'max-lines': ['error', { max: 250, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      'no-restricted-imports': ['error', { patterns: [whole] }],
    },
  },
  // ui/ draws: it knows neither server nor address.
  layer(['src/ui/**'], [
    not(['@/api/**', '@/app/**', '@/features/**', '@/console/**', '@/gen/**', '../**'], 'ui/ knows only itself.'),
    not(['react-router', '@connectrpc/*', '@tanstack/react-query'], 'ui/ knows neither server nor address.'),
    whole,
  ]),
  // api/ talks: it draws nothing.
  layer(['src/api/**'], [
    not(['@/ui/**', '@/app/**', '@/features/**', '@/console/**', 'react-router', 'react-dom', '@patternfly/**'], 'api/ draws nothing.'),
  ]),
  // A sea of WebSockets and transports in pages would end the one connection.
  {
    files: ['src/features/**', 'src/app/**'],
    rules: {
      'no-restricted-syntax': ['error', { selector: 'NewExpression[callee.name="WebSocket"]', message: 'The page has one connection: src/api/live.ts.' }],
    },
  },
);
