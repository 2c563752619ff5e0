-- Graphs of objects, by chance: of classes of all kinds and of none, with cycles, classes as values
-- and objects as keys; and what tells whether two of them are alike.
local kinds = require "support.class_kinds"

local graphs = {}
local random = math.random

local names = {}
for name in pairs(kinds) do names[#names + 1] = name end
table.sort(names)

-- A list of { class, new }, and a set of all tables that belong to the classes.
function graphs.classes(count)
  local list, known = {}, {}
  for _ = 1, count do
    local base, derived, new = kinds[names[random(#names)]]()
    for _, class in ipairs { base, derived } do
      list[#list + 1] = { class, new }
      known[class] = true
      known[getmetatable(class) or class] = true
      for key, value in pairs(class) do
        if type(value) == "table" and tostring(key):find "^__" then known[value] = true end
      end
    end
  end
  return list, known
end

function graphs.new(classes, count)
  local nodes = {}
  for i = 1, count do
    local class = random(3) > 1 and classes[random(#classes)]
    nodes[i] = class and class[2](class[1], random(1000)) or { n = i }
  end
  for _ = 1, 2 * count do
    local from, to = nodes[random(count)], nodes[random(count)]
    local what = random(5)
    if what == 1 then rawset(from, random(5), to) end
    if what == 2 then rawset(from, "to" .. random(5), to) end
    if what == 3 then rawset(from, to, random(9)) end
    if what == 4 then rawset(from, "text" .. random(3), ("x"):rep(random(50) ^ 2)) end
    if what == 5 then rawset(from, "class" .. random(3), classes[random(#classes)][1]) end
  end
  return nodes
end

local function is_object_as_key(key, known)
  return type(key) == "table" and not known[key]
end

-- The path to where they differ; nil: they are alike, and have nothing in common but the classes.
function graphs.difference(one, other, known)
  local counterpart, back = {}, {}
  local function differ(a, b, path)
    if type(a) ~= "table" or type(b) ~= "table" or known[a] or known[b] then
      return a ~= b and path or nil
    end
    if counterpart[a] or back[b] then
      return (counterpart[a] ~= b or back[b] ~= a) and path or nil
    end
    counterpart[a], back[b] = b, a
    if rawequal(a, b) or getmetatable(a) ~= getmetatable(b) then return path end
    local rest = 0
    for key in next, b do rest = rest + (is_object_as_key(key, known) and 0 or 1) end
    for key, value in next, a do
      if not is_object_as_key(key, known) then
        rest = rest - 1
        local found = differ(value, rawget(b, key), path .. "." .. tostring(key))
        if found then return found end
      end
    end
    return rest ~= 0 and path or nil
  end
  return differ(one, other, "graph")
end

return graphs
