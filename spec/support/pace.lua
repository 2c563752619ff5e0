-- The collector's parameters under the names of Lua 5.5, in percent; each returns what was before.
-- The pause is what is in use, after a collection, when the next begins.
local pace = {}

local old_names = { pause = "setpause", stepmul = "setstepmul" }
local is_old = _VERSION == "Lua 5.4"

function pace.set(name, value)
  if is_old then return collectgarbage(old_names[name], value) end
  return collectgarbage("param", name, value)
end

return pace
