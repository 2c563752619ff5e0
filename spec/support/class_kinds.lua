-- Classes as the common libraries make them, each in a few lines of its own. A kind is a function
-- that makes two classes, the second below the first, a function that makes an object of one, and
-- one that tells whether it is one.

local kinds = {}

kinds["a plain metatable"] = function()
  local Base = {}
  Base.__index = Base
  function Base.get(self) return self.n end
  local Derived = setmetatable({}, Base)
  Derived.__index = Derived
  local function new(class, n) return setmetatable({ n = n }, class) end
  local function is_a(object, class)
    local known = getmetatable(object)
    while known and known ~= class do known = getmetatable(known) end
    return known == class
  end
  return Base, Derived, new, is_a
end

kinds["a metatable with a function as __index"] = function()
  local function make(methods)
    return { __index = function(_, name) return methods[name] end, __name = methods.name }
  end
  local Base = make { name = "Base", get = function(self) return self.n end }
  local Derived = make { name = "Derived", get = function(self) return self.n end }
  local parents = { Derived = Base }
  local function new(class, n) return setmetatable({ n = n }, class) end
  local function is_a(object, class)
    local own = getmetatable(object)
    return own == class or parents[own.__name] == class
  end
  return Base, Derived, new, is_a
end

-- As middleclass: the metatable of objects is a part of the class, which they have in a field.
kinds["a class apart from its metatable"] = function()
  local function make(name, super)
    local dict = {}
    dict.__index = dict
    local class = { name = name, super = super, static = {}, __instanceDict = dict,
      __declaredMethods = {}, subclasses = setmetatable({}, { __mode = "k" }) }
    setmetatable(class.static, { __index = function(_, key)
      local value = rawget(dict, key)
      if value == nil and super then value = super.static[key] end
      return value
    end })
    setmetatable(class, {
      __index = class.static,
      __tostring = function(self) return "class " .. self.name end,
      __call = function(self, ...) return self:new(...) end,
      __newindex = function(self, key, value)
        self.__declaredMethods[key] = value
        self.__instanceDict[key] = value
      end,
    })
    function class.static.new(self, n)
      return setmetatable({ class = self, n = n }, self.__instanceDict)
    end
    if super then
      for key, value in pairs(super.__instanceDict) do
        if key ~= "__index" then dict[key] = value end
      end
      super.subclasses[class] = true
    end
    return class
  end
  local Base = make "Base"
  function Base.get(self) return self.n end
  local Derived = make("Derived", Base)
  local function new(class, n) return class(n) end
  local function is_a(object, class)
    local known = object.class
    while known and known ~= class do known = known.super end
    return known == class and getmetatable(object) == object.class.__instanceDict
  end
  return Base, Derived, new, is_a
end

-- As MoonScript.
kinds["a class that its metatable leads to"] = function()
  local function make(name, parent)
    local base = { get = function(self) return self.n end }
    base.__index = base
    if parent then setmetatable(base, parent.__base) end
    local class = setmetatable({ __init = function(self, n) self.n = n end, __base = base,
      __name = name, __parent = parent }, {
      __index = base,
      __call = function(cls, ...)
        local self = setmetatable({}, base)
        cls.__init(self, ...)
        return self
      end,
    })
    base.__class = class
    return class
  end
  local Base = make "Base"
  local Derived = make("Derived", Base)
  local function new(class, n) return class(n) end
  local function is_a(object, class)
    local known = object.__class
    while known and known ~= class do known = known.__parent end
    return known == class and getmetatable(object) == object.__class.__base
  end
  return Base, Derived, new, is_a
end

-- As pl.class: methods are copied into the classes below, which know their base.
kinds["a class with copied methods"] = function()
  local function make(base)
    local class = {}
    for key, value in pairs(base or {}) do class[key] = value end
    class._base, class.__index = base, class
    function class:is_a(other)
      local known = getmetatable(self)
      while known and known ~= other do known = rawget(known, "_base") end
      return known == other
    end
    local function new(_, n) return setmetatable({ n = n }, class) end
    return setmetatable(class, { __call = new })
  end
  local Base = make()
  function Base.get(self) return self.n end
  local Derived = make(Base)
  local function new(class, n) return class(n) end
  local function is_a(object, class)
    return object:is_a(class)
  end
  return Base, Derived, new, is_a
end

-- As classic: the class above is the metatable of the one below, as of its objects.
kinds["a class that is a metatable of classes"] = function()
  local Object = {}
  Object.__index = Object
  function Object:extend()
    local class = {}
    for key, value in pairs(self) do
      if key:find("__", 1, true) == 1 then class[key] = value end
    end
    class.__index, class.super = class, self
    return setmetatable(class, self)
  end
  function Object:__call(n)
    return setmetatable({ n = n }, self)
  end
  function Object:is(class)
    local known = getmetatable(self)
    while known and known ~= class do known = getmetatable(known) end
    return known == class
  end
  local Base = Object:extend()
  function Base.get(self) return self.n end
  local Derived = Base:extend()
  local function new(class, n) return class(n) end
  local function is_a(object, class)
    return object:is(class)
  end
  return Base, Derived, new, is_a
end

return kinds
