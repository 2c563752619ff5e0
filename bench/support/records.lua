-- The records that are copied in the benchmark, and the copy that a script would make of them.

local records = {}

-- A list of so many small records.
function records.new(count)
  local list = {}
  for i = 1, count do
    list[i] = { id = i, name = "item" .. i, tags = { "a", "b", "c" }, v = 1.5 }
  end
  return list
end

-- A copy of a value, tables in tables included.
function records.deep_copy(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for k, v in pairs(value) do
    copy[records.deep_copy(k)] = records.deep_copy(v)
  end
  return copy
end

return records
