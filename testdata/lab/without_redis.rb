# An application whose Gemfile does not have the redis gem.
module WithoutRedis
  private
    def gem(name, *)
      name == "redis" ? raise(Gem::LoadError, "redis is not part of the bundle. Add it to your Gemfile.") : super
    end
end
Object.prepend WithoutRedis
