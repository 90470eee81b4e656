// Imports a module of the dashboard's source, which is TypeScript.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

/** Return what the modules export, as one program: what they share is there once. */
export async function built(...paths) {
  const stdin = { contents: paths.map((path) => `export * from "./${path}";`).join("\n"), resolveDir: fileURLToPath(new URL("../src", import.meta.url)) };
  const result = await build({ stdin, bundle: true, format: "esm", write: false, logLevel: "error", jsx: "automatic", jsxImportSource: "preact" });
  return import(`data:text/javascript;base64,${Buffer.from(result.outputFiles[0].contents).toString("base64")}`);
}
