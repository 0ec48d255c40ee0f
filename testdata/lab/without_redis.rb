# Simulates a Gemfile without the redis gem. For RUBYOPT=-r.
module WithoutRedis
  private
    def gem(name, *)
      name == "redis" ? raise(Gem::LoadError, "redis is not part of the bundle. Add it to your Gemfile.") : super
    end
end
Object.prepend WithoutRedis
