-- Calls f with the name of a new fifo, which is removed when it returns.
return function(f)
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo '" .. path .. "'"))
  f(path)
  os.remove(path)
end
