-- Runs a script in a process of its own that does not end by itself: watched{code=, environment=,
-- ready=, act=}. When ready(text) is true for what it has written so far, in whole lines, it is
-- brought to an end by act(process, text), or else killed. Returns all that it has written, then a
-- line with its status.
local interpreter = os.getenv "LTHREAD_LUA" or "lua5.4"

local function kill(process)
  assert(os.execute("kill -KILL " .. process))
end

return function(options)
  local ready, act = options.ready, options.act or kill
  local path = os.tmpname()
  local file <close> = io.open(path, "w")
  file:write(options.code)
  file:close()
  local pipe <close> = io.popen(
    ([[%s timeout 300 sh -c 'echo $$; exec "$0" "$1"' '%s' '%s' 2>&1; echo status $?]]):format(
      options.environment or "", interpreter, path))
  local process = pipe:read "l"
  local text, acted = "", false
  for line in pipe:lines "L" do
    text = text .. line
    if not acted and ready(text) then
      acted = true
      act(process, text)
    end
  end
  os.remove(path)
  return text
end
