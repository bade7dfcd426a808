-- Lets one transaction at a time decide about spending, so that what it reads of budgets and of what
-- is put aside is what the one before has committed, and nobody waits for a row that another holds
-- while that one waits for his.
SELECT gate FROM af_budget_gate FOR UPDATE
