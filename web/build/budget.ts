// What the list of VMs costs at its first load, compressed, and that it stays within bounds.

import type { Plugin, Rollup } from 'vite';
import { brotli } from './siblings.ts';

const KIB = 1024;

/** Fails the build when `route` with all it imports is larger than `kib` after brotli. */
export function firstLoadBudget(route: string, kib: number): Plugin {
  return {
    name: 'first-load-budget',
    apply: 'build',
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((part): part is Rollup.OutputChunk => part.type === 'chunk');
      const roots = chunks.filter((chunk) => chunk.isEntry || chunk.facadeModuleId?.endsWith(route));
      if (roots.length < 2) this.error(`${route} is not a chunk of its own`);
      const names = new Set<string>();
      const visit = (name: string): void => {
        const part = bundle[name];
        if (names.has(name) || part === undefined) return;
        names.add(name);
        if (part.type !== 'chunk') return;
        const more = (part as Rollup.OutputChunk & { viteMetadata?: { importedCss: Set<string> } }).viteMetadata;
        [...part.imports, ...(more?.importedCss ?? [])].forEach(visit);
      };
      roots.forEach((root) => visit(root.fileName));
      let total = 0;
      const sizes: [string, number][] = [];
      const add = (name: string, size: number): void => {
        total += size;
        sizes.push([name, size]);
      };
      for (const name of names) {
        const part = bundle[name];
        if (part === undefined) continue;
        const bytes = Buffer.from(part.type === 'chunk' ? part.code : part.source);
        add(name, brotli(bytes).length);
      }
      // The text fonts are asked for by the first text drawn with them; they are compressed already.
      for (const part of Object.values(bundle)) {
        if (part.type === 'asset' && /RedHat(Text|Mono)VF-[^/]*\.woff2$/.test(part.fileName)) {
          if (!/Italic/.test(part.fileName)) add(part.fileName, part.source.length);
        }
      }
      sizes.sort((a, b) => b[1] - a[1]);
      for (const [name, size] of sizes) this.info(`${(size / KIB).toFixed(1).padStart(7)} KiB  ${name}`);
      this.info(`${(total / KIB).toFixed(1).padStart(7)} KiB  first load of the list of VMs (limit ${kib})`);
      if (total > kib * KIB) this.error(`the first load is ${(total / KIB).toFixed(1)} KiB, more than ${kib}`);
    },
  };
}
