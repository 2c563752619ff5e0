-- A strict reader of JSON: json(text) returns the value, or raises what is wrong where. Objects and
-- arrays are tables, null is json.null.
local json = { null = setmetatable({}, { __name = "null" }) }

local escapes <const> = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t" }

local function refuse(place, what)
  error(("%s at byte %d"):format(what, place), 0)
end

local function skip(text, place)
  return text:match("^[ \t\r\n]*()", place)
end

local function read_string(text, place)
  local parts, at = {}, place + 1
  while true do
    local plain, after = text:match('^([^"\\%c]*)()', at)
    parts[#parts + 1] = plain
    local byte = text:sub(after, after)
    if byte == '"' then
      local whole = table.concat(parts)
      if not utf8.len(whole) then refuse(place, "a string that is no UTF-8") end
      return whole, after + 1
    elseif byte ~= "\\" then
      refuse(after, "a string that does not end, or a control character in it")
    end
    local kind = text:sub(after + 1, after + 1)
    if kind == "u" then
      local digits = text:match("^%x%x%x%x", after + 2) or refuse(after, "a bad escape")
      parts[#parts + 1], at = utf8.char(tonumber(digits, 16)), after + 6
    else
      parts[#parts + 1], at = escapes[kind] or refuse(after, "a bad escape"), after + 2
    end
  end
end

local function read_number(text, place)
  local digits, after = text:match("^(-?%d+)()", place)
  if not digits or digits:find "^-?0%d" then refuse(place, "no value") end
  after = text:match("^%.%d+()", after) or after
  after = text:match("^[eE][-+]?%d+()", after) or after
  return tonumber(text:sub(place, after - 1)), after
end

local read_value

local function read_array(text, place)
  local array = {}
  place = skip(text, place + 1)
  if text:sub(place, place) == "]" then return array, place + 1 end
  while true do
    array[#array + 1], place = read_value(text, place)
    local byte = text:sub(place, place)
    if byte == "]" then return array, place + 1 end
    if byte ~= "," then refuse(place, "no comma") end
    place = place + 1
  end
end

local function read_object(text, place)
  local object = {}
  place = skip(text, place + 1)
  if text:sub(place, place) == "}" then return object, place + 1 end
  while true do
    place = skip(text, place)
    if text:sub(place, place) ~= '"' then refuse(place, "no name of a field") end
    local name
    name, place = read_string(text, place)
    if object[name] ~= nil then refuse(place, "a second field " .. name) end
    place = skip(text, place)
    if text:sub(place, place) ~= ":" then refuse(place, "no colon") end
    object[name], place = read_value(text, place + 1)
    local byte = text:sub(place, place)
    if byte == "}" then return object, place + 1 end
    if byte ~= "," then refuse(place, "no comma") end
    place = place + 1
  end
end

local words <const> = { ["true"] = true, ["false"] = false, null = json.null }

function read_value(text, place)
  place = skip(text, place)
  local byte = text:sub(place, place)
  local value, after
  if byte == "{" then
    value, after = read_object(text, place)
  elseif byte == "[" then
    value, after = read_array(text, place)
  elseif byte == '"' then
    value, after = read_string(text, place)
  else
    local word = text:match("^%a+", place)
    if word and words[word] ~= nil then
      value, after = words[word], place + #word
    else
      value, after = read_number(text, place)
    end
  end
  return value, skip(text, after)
end

return setmetatable(json, { __call = function(_, text)
  local value, after = read_value(text, 1)
  if after <= #text then refuse(after, "something behind the value") end
  return value
end })
