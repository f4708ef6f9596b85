/** How we follow what the host does with its own objects: after the host, and after other packs. */

/**
 * Lets `then` run after whatever `object` already does in `method`, with the same arguments.
 *
 * @template {object} T
 * @param {T} object @param {keyof T} method
 * @param {(this: T, ...given: any[]) => void} then the host's methods take what they like
 */
export function afterwards(object, method, then) {
  const former = /** @type {((...given: unknown[]) => unknown) | undefined} */ (object[method]);
  /** @this {T} @param {...unknown} given */
  function both(...given) {
    const result = former?.apply(this, given);
    then.apply(this, given);
    return result;
  }
  Object.assign(object, { [method]: both });
}
