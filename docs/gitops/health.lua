-- Health of every kind of tunnelpool.dev for Argo CD. The conditions are in kstatus format: Reconciling means that
-- it may still succeed, Stalled that a person must act, else Ready decides. No standard library is needed.
local health = { status = "Progressing", message = "Waiting for the operator" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "Waiting for the operator to see the change"
  return health
end
local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local ready = found.Ready
if ready == nil then
  return health
end
health.message = ready.reason
if ready.message ~= nil and ready.message ~= "" then
  health.message = ready.reason .. ": " .. ready.message
end
if found.Stalled ~= nil and found.Stalled.status == "True" then
  health.status = "Degraded"
elseif found.Reconciling ~= nil and found.Reconciling.status == "True" then
  health.status = "Progressing"
elseif ready.status == "True" then
  health.status = "Healthy"
end
return health
