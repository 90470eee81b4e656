// What evaluators said, one after the other.

import { State, When } from "../../parts.tsx";
import { safe, lookOfVerdict } from "../../words.ts";
import type { Said } from "./calls.ts";

export const Trail = ({ said }: { said: readonly Said[] }) => (
  <ol class="trail">
    {said.map((each) => (
      <li key={each.work_id}>
        <p>
          <State look={lookOfVerdict(each.decision ?? "too long to list")} />
          <span>round {each.round}</span>{each.score !== null && <span class="num">{each.score}</span>}<span>{safe(each.evaluator ?? "–")}</span><When time={each.at} />
        </p>
        {each.reasons.map((reason, at) => <p key={at}>{safe(reason)}</p>)}
        {each.findings.map((finding, at) => <p key={at}><b>{safe(finding.severity ?? "finding")}</b>{finding.subtask && ` in ${safe(finding.subtask)}`}: {safe(finding.text ?? "")}</p>)}
        {each.feedback.map((feedback, at) => <p key={at}>to do again in <b>{safe(feedback.subtask)}</b>: {safe(feedback.text)}</p>)}
        {each.added.length > 0 && <p>added {each.added.map(safe).join(", ")}</p>}
      </li>
    ))}
  </ol>
);
