-- Says which sources a rockspec lacks, or names in vain: lua tools/rockspec.lua file

local rockspec = {}
assert(loadfile(arg[1], "t", rockspec))()

local failed = false

local function compare(where, named, pattern)
  local listing <close> = assert(io.popen("ls " .. pattern .. " 2>/dev/null"))
  for file in listing:lines() do
    if not named[file] then
      print(("%s: %s lacks %s"):format(arg[1], where, file))
      failed = true
    end
    named[file] = nil
  end
  for file in pairs(named) do
    print(("%s: %s names %s, which is not there"):format(arg[1], where, file))
    failed = true
  end
end

local lua_files, platform_files = {}, {}

for name, file in pairs(rockspec.build.modules) do
  lua_files[file] = true
  if file ~= "lua/" .. name:gsub("%.", "/") .. ".lua" then
    print(("%s: module %s is in %s"):format(arg[1], name, file))
    failed = true
  end
end

for platform, build in pairs(rockspec.build.platforms) do
  local common = {}
  for _, file in ipairs(build.modules.lthread.sources) do
    local files = file:match "^platform/" and platform_files or common
    files[file] = true
  end
  compare(platform, common, "lthread.c src/*/*.c lib/*.c")
end

compare("platforms", platform_files, "platform/*.c")
compare("modules", lua_files, "lua/*.lua lua/*/*.lua")
os.exit(not failed)
