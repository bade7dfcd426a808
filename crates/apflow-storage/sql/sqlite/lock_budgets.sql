-- Lets one transaction at a time decide about spending. The file has only one that writes anyway.
SELECT gate FROM af_budget_gate
