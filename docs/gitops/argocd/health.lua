-- Health of every kind of mdm.kubemdm.io for Argo CD. It judges the operator's part, as kstatus does: a device in a drawer never keeps an application
-- from being Healthy.
local health = { status = "Progressing", message = "not looked at yet" }
local metadata = obj.metadata or {}
if metadata.deletionTimestamp ~= nil then
  health.message = "is being deleted: what it stands for is handed over first"
elseif metadata.annotations ~= nil and metadata.annotations["mdm.kubemdm.io/paused"] == "true" then
  health.status = "Suspended"
  health.message = "nothing is done for it while it has the annotation mdm.kubemdm.io/paused"
elseif obj.status ~= nil and obj.status.observedGeneration == metadata.generation then
  local conditions = {}
  for _, condition in ipairs(obj.status.conditions or {}) do
    conditions[condition.type] = condition
  end
  local ready = conditions.Ready or {}
  health.message = ready.message or ""
  if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
    health.status = "Degraded"
    health.message = conditions.Stalled.message
  elseif ready.status == "True" then
    health.status = "Healthy"
  end
end
return health
