// Names for what a run creates: a second run, or one after a broken run, must not collide.

const RUN = process.pid.toString(36) + Date.now().toString(36).slice(-4);

/** `client-<slug>-<what>-<run>`. */
export function unique(slug, what) {
  return `client-${slug}-${what}-${RUN}`;
}
