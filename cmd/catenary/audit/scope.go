package audit

// A scope is a class, a module, a method or a block, or the whole file.
type scope struct {
	keyword     string // class, module, def, block, "" for the file; "class <<" for a singleton class
	name        string // of a class or module as written, of a method; of a block the method that it is given to, if that can be seen
	singleton   bool   // def self.name
	line        int
	first, last int // tokens of the body
	superclass  string
	call        int // of a block: the token of the method that it is given to
	parent      *scope
}

// module is the class or module whose body a scope belongs to; nil in the
// open file.
func (c *scope) module() *scope {
	for ; c != nil; c = c.parent {
		if c.keyword == "class" || c.keyword == "module" {
			return c
		}
	}
	return nil
}

// instance says whether code in a scope runs on an object of its class, and
// not on the class: in a method, or in a block that the class is given to run
// on its objects, as before_subscribe is.
func (c *scope) instance() bool {
	blocks := false
	for ; c != nil; c = c.parent {
		switch c.keyword {
		case "def":
			for outer := c.parent; outer != nil; outer = outer.parent {
				if outer.keyword == "class <<" || outer.keyword == "block" && outer.name == "class_methods" {
					return false
				}
			}
			return !c.singleton
		case "block":
			if c.name == "class_methods" {
				return false
			}
			blocks = blocks || c.name != "included" && c.name != "prepended" && c.name != "class_eval" && c.name != "each"
		case "class", "module":
			return blocks
		case "class <<":
			return false
		}
	}
	return false
}

// qualified is the name of a class or module with those around it.
func (c *scope) qualified() string {
	name := c.name
	for outer := c.parent.module(); outer != nil; outer = outer.parent.module() {
		name = outer.name + "::" + name
	}
	return name
}
