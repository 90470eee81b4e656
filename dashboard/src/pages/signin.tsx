// Signs in with an API key or a token. It is sent once, for a cookie that scripts cannot read, and kept nowhere.

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError } from "../api.ts";
import { session } from "../state.ts";

export const problem = signal("");
export const ended = signal(false); // somebody was signed in

export function SignIn() {
  const field = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => field.current!.focus(), []);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const credential = field.current!.value.trim();
    if (!credential) return;
    setBusy(true);
    try {
      session.value = await api.signIn(credential);
      problem.value = "";
    } catch (error) {
      problem.value = error instanceof ApiError ? error.message : String(error);
      setBusy(false);
      field.current?.select();
    }
  }
  return (
    <main class="sign-in">
      <form onSubmit={(event) => void submit(event)} autocomplete="off">
        <h1>swarmkeeper</h1>
        <label for="credential">API key or token</label>
        <input id="credential" ref={field} type="password" required autocomplete="off" spellcheck={false} aria-describedby="hint" aria-invalid={problem.value ? "true" : undefined} />
        {!isSecureContext && (
          <p class="trouble" role="alert">
            <strong>Nobody can sign in at this address:</strong> who listens on the way could read the session. Use https, or a tunnel:{" "}
            <code>ssh -L {location.port || "7700"}:127.0.0.1:{location.port || "7700"} {location.hostname}</code>, then open <code>127.0.0.1:{location.port || "7700"}/ui/</code> here.
          </p>
        )}
        {ended.value && !problem.value && <p role="status">You are signed out. Sign in, and go on where you were.</p>}
        {problem.value && <p class="trouble" role="alert">{problem.value}</p>}
        <button type="submit" class="main" disabled={busy}>Sign in</button>
        <p id="hint" class="hint">
          <code>swarmkeeper dev</code> prints a link that signs in. A key comes from <code>swarmkeeper key create --role admin</code>, a
          token from your identity provider.
        </p>
      </form>
    </main>
  );
}
