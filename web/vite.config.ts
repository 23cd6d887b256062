import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { firstLoadBudget } from './build/budget.ts';
import { compressedSiblings } from './build/siblings.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** Where a server answers while the page is worked on. */
const server = process.env['QKVM_SERVER'] ?? 'http://127.0.0.1:8080';

/** The server answers only pages of its own origin. */
const answered = { target: server, changeOrigin: true, headers: { origin: server } };

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export default defineConfig({
  plugins: [react(), firstLoadBudget('/src/features/vms/list/VmsPage.tsx', 350), compressedSiblings(here('dist'))],
  resolve: { alias: { '@': here('src') } },
  build: {
    target: 'es2022',
    assetsDir: 'assets',
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    // An inline script would be refused by the policy of the page.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
  },
  server: {
    proxy: {
      '^/(Quantixkvm|grpc)\\.': answered,
      '^/(live|console)': { ...answered, ws: true },
    },
  },
  // The server's own policy, so that what it would refuse is seen before.
  preview: { headers: { 'Content-Security-Policy': policy } },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});
