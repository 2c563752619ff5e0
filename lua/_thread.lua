-- lthread under the name that it has in Python.
return require "lthread"
