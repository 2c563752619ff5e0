-- Writes the modules of lib/ into a file of C, line by line, so that they are in the library
-- itself; or compares the file with them.
-- usage: lua tools/embed.lua [--write] lib/lua_modules.c
local is_writing = arg[1] == "--write"
local path = arg[is_writing and 2 or 1]

local function list_files()
  local listing <close> = assert(io.popen "ls lib/*.lua")
  local files = {}
  for file in listing:lines() do files[#files + 1] = file end
  table.sort(files)
  return files
end

local function quote(line)
  return '"' .. line:gsub('[\\"]', "\\%0"):gsub("%?%?", "?\\?") .. '\\n",\n'
end

local parts = { [[
/*
** The modules that are written in Lua, line by line. Made of lib/ by `make embed`.
*/
/* clang-format off */
#include "lib/lua_modules.h"

#include <stddef.h>
]] }
local entries = {}
for _, file in ipairs(list_files()) do
  local name = file:match "([%w_]+)%.lua$"
  parts[#parts + 1] = ("\nstatic const char *const %s_lines[] = {\n"):format(name)
  for line in io.lines(file) do parts[#parts + 1] = quote(line) end
  parts[#parts + 1] = "NULL};\n"
  entries[#entries + 1] = ('    {"lthread.%s", "@lthread/%s.lua", %s_lines},\n')
    :format(name, name, name)
end
parts[#parts + 1] = "\nconst lt_LuaModule lt_lua_modules[] = {\n" .. table.concat(entries)
  .. "    {NULL, NULL, NULL}};\n"
local text = table.concat(parts)

if is_writing then
  local output <close> = assert(io.open(path, "w"))
  assert(output:write(text))
else
  local input <close> = assert(io.open(path))
  if input:read "a" ~= text then
    io.stderr:write(path, ": is not what lib/ has; make embed writes it anew\n")
    os.exit(false)
  end
end
