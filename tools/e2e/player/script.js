/** Loads a library that is made for a script element. */
export function script(url) {
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = url;
    element.onload = resolve;
    element.onerror = () => reject(new Error(`no ${url}`));
    document.head.append(element);
  });
}
